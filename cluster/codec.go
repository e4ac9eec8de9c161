package cluster

import (
	"reflect"

	"github.com/fxamacker/cbor/v2"
)

// Values travel as CBOR (RFC 8949): fast, self-describing, and readable by
// every language. A []byte travels as it is. Decoding is strict: a field that
// the declared type does not have is an error (scenario B-17).

var decMode = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		IntDec:            cbor.IntDecConvertNone,
	}.DecMode()
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return mode
}()

// encode returns v as it travels. What says which value of endpoint it is, for
// the error.
func encode[T any](v T, what, endpoint string) ([]byte, error) {
	if b, raw := any(&v).(*[]byte); raw {
		return *b, nil
	}
	b, err := cbor.Marshal(v)
	if err != nil {
		return nil, badMessage[T](what, endpoint, err)
	}
	return b, nil
}

// decode is the reverse of encode.
func decode[T any](b []byte, what, endpoint string) (v T, err error) {
	if raw, ok := any(&v).(*[]byte); ok {
		*raw = b
		return v, nil
	}
	if err := decMode.Unmarshal(b, &v); err != nil {
		return v, badMessage[T](what, endpoint, err)
	}
	return v, nil
}

func badMessage[T any](what, endpoint string, err error) error {
	return &BadMessage{What: what, Endpoint: endpoint, Want: reflect.TypeFor[T]().String(), Why: err.Error()}
}
