// Package search is an actor that the node binary carries: a searcher looks
// for a fixed string in files of its own machine. Its opener feeds it batches
// of paths and gets matches back, each side at the other's pace.
//
// Messages of one side are answered in order: the searcher works on one batch
// at a time and marks the end of each. A context buffers few messages, so both
// directions are bounded here: at most [MaxBatches] batches may be under way,
// and the searcher waits while [MaxUnacked] of its messages are not acked.
package search

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/tandem-actors/tandem/cluster"
)

// Name is the name under which nodes register their searcher.
const Name = "searcher"

const (
	// MaxBatches is how many batches may be under way; one more ends the
	// search with [cluster.ErrBusy].
	MaxBatches = 16
	// MaxUnacked is how many messages the searcher sends ahead of the acks.
	MaxUnacked = 16
	// MaxUp is about how many bytes of matches one message carries.
	MaxUp = 256 << 10
)

// Task is the endpoint. The opener sends batches until it calls CloseSend.
const Task = cluster.Task[Query, cluster.None, Down, Up, Summary]("search")

// A Query says what to look for.
type Query struct {
	// Pattern is a fixed string, without newlines and NUL bytes.
	Pattern []byte `cbor:"1,keyasint"`
	// Root is the absolute path of the directory that paths are relative to.
	// It is bytes, as paths need not be UTF-8.
	Root []byte `cbor:"2,keyasint"`
}

// A Down is a batch, or an ack, or both.
type Down struct {
	// Paths are the files to search. If there are none, this is no batch.
	Paths [][]byte `cbor:"1,keyasint,omitempty"`
	// Acks is how many Ups the opener has taken since it last said so.
	Acks int `cbor:"2,keyasint,omitempty"`
}

// An Up is what was found in files of the oldest batch under way.
type Up struct {
	Found []Found `cbor:"1,keyasint,omitempty"`
	// Bytes is how much was read for this batch; it comes with Done.
	Bytes int64 `cbor:"2,keyasint,omitempty"`
	// Done says that the batch is finished.
	Done bool `cbor:"3,keyasint,omitempty"`
}

// A Found is what was found in one file. The files of a batch come in order,
// and a file goes on in the next message if this one is full.
type Found struct {
	// File is the index of the file in its batch.
	File int `cbor:"1,keyasint"`
	// Lines holds "number:text\n" of each match. At the end of a message a
	// line may break off anywhere; the next message goes on with it.
	Lines []byte `cbor:"2,keyasint,omitempty"`
	// Binary says that the file is binary and matches.
	Binary bool `cbor:"3,keyasint,omitempty"`
	// Err says why the file, or the rest of it, could not be read.
	Err string `cbor:"4,keyasint,omitempty"`
}

// A Summary counts what a searcher did.
type Summary struct {
	Files int64 `cbor:"1,keyasint"`
	Bytes int64 `cbor:"2,keyasint"`
	Lines int64 `cbor:"3,keyasint"`
}

// check reports what is wrong with q.
func (q Query) check() error {
	switch {
	case bytes.ContainsAny(q.Pattern, "\n\x00"):
		return errors.New("search: the pattern contains a newline or a NUL byte")
	case !filepath.IsAbs(string(q.Root)):
		return fmt.Errorf("search: root %q is not an absolute path", q.Root)
	}
	return nil
}
