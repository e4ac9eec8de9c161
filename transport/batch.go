package transport

import (
	"encoding/binary"
	"errors"

	"github.com/tandem-actors/tandem/identity"
)

// A batch is one message on the bus:
//
//	version  1 byte, 1
//	sender   16 bytes, the uuid of the node that sends
//	frame    length as uvarint, then so many bytes; at least one frame
//
// Version 1 is for ever; a batch of another version is not read.
const (
	batchVersion = 1
	batchHeader  = 1 + 16
	frameHeader  = binary.MaxVarintLen32 // the most that a length takes

	// batchSize is how many bytes of small frames share a message. A larger
	// frame has one to itself.
	batchSize = 64 << 10
)

var errMalformed = errors.New("malformed batch")

// appendBatch begins a batch.
func appendBatch(b []byte, sender identity.UUID) []byte {
	return append(append(b, batchVersion), sender[:]...)
}

// appendFrame adds a frame to a batch.
func appendFrame(b, frame []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(frame))), frame...)
}

// parseBatch returns the sender and the frames, for nextFrame, which cannot
// fail on what parseBatch has accepted. It keeps data.
func parseBatch(data []byte) (sender identity.UUID, frames []byte, err error) {
	if len(data) <= batchHeader || data[0] != batchVersion {
		return identity.UUID{}, nil, errMalformed
	}
	frames = data[batchHeader:]
	for rest := frames; len(rest) > 0; {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return identity.UUID{}, nil, errMalformed
		}
		rest = rest[n+int(size):]
	}
	return identity.UUID(data[1:batchHeader]), frames, nil
}

// nextFrame splits the first frame off; there must be one.
func nextFrame(frames []byte) (frame, rest []byte) {
	size, n := binary.Uvarint(frames)
	end := n + int(size)
	return frames[n:end:end], frames[end:]
}
