package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/tandem-actors/tandem/fault"
)

// A Code is the exit code of a command. Scripts depend on the numbers: a code,
// once released, keeps its meaning.
type Code int

// What commands exit with.
const (
	OK          Code = 0
	Failed      Code = 1
	Usage       Code = 2
	NotFound    Code = 3
	Timeout     Code = 4
	Unreachable Code = 5
	Degraded    Code = 6
	Permission  Code = 7
	Hungup      Code = 129
	Interrupted Code = 130
	Terminated  Code = 143
)

// codes is the specification that `help exit-codes` prints.
var codes = []struct {
	code    Code
	label   string // in JSON
	meaning string
}{
	{OK, "ok", "done; a server that was asked to stop and stopped in order also exits 0"},
	{Failed, "error", "something else went wrong"},
	{Usage, "usage", "unknown command, flag or value; nothing was tried"},
	{NotFound, "not_found", "nothing has that name"},
	{Timeout, "timeout", "no answer in time"},
	{Unreachable, "unreachable", "no registrar is reachable"},
	{Degraded, "degraded", "an answer came, but part of the cluster is missing"},
	{Permission, "permission", "not allowed"},
	{Hungup, "hungup", "stopped by SIGHUP (its terminal is gone) before it was done"},
	{Interrupted, "interrupted", "stopped by SIGINT (Ctrl-C) before it was done"},
	{Terminated, "terminated", "stopped by SIGTERM before it was done"},
}

// String returns the label of c in JSON output.
func (c Code) String() string {
	for _, known := range codes {
		if known.code == c {
			return known.label
		}
	}
	return fmt.Sprintf("exit_%d", int(c))
}

// exitCodes returns the text of `help exit-codes`.
func exitCodes() string {
	var b strings.Builder
	b.WriteString("Every command exits with one of these codes. The word is the \"code\" of\nan error that is printed with -o json.\n\n")
	for _, c := range codes {
		fmt.Fprintf(&b, "  %3d  %-12s %s\n", int(c.code), c.label, c.meaning)
	}
	return b.String()
}

// An Error is an error with an exit code and a hint.
type Error struct {
	Code Code
	Err  error
	// Hint says what to do now, in one line. It may be empty.
	Hint string
}

// Errorf returns an error that exits with code and hints at what to do.
func Errorf(code Code, hint, format string, args ...any) *Error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...), Hint: hint}
}

// Error returns what went wrong, without the hint.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns what went wrong.
func (e *Error) Unwrap() error { return e.Err }

// explain turns any error into one with a code: its own, or the one that the
// cause stands for.
func explain(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{Code: e.Code, Err: err, Hint: e.Hint}
	}
	code, hint := Failed, ""
	switch {
	case errors.Is(err, fault.ErrUnreachable):
		code, hint = Unreachable, "is a registrar running there? start one with: registrar serve"
	case errors.Is(err, fault.ErrNotFound):
		code = NotFound
	case errors.Is(err, context.DeadlineExceeded):
		code = Timeout
	case errors.Is(err, fs.ErrPermission):
		code = Permission
	}
	return &Error{Code: code, Err: err, Hint: hint}
}

// print writes e for people, or for programs if asJSON is set.
func (e *Error) print(w io.Writer, asJSON bool) {
	message := strings.Join(strings.Fields(strings.Map(Printable, e.Error())), " ")
	if !asJSON {
		fmt.Fprintln(w, "error:", message)
		if e.Hint != "" {
			fmt.Fprintln(w, "  hint:", e.Hint)
		}
		return
	}
	var body struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
			Hint    string `json:"hint,omitempty"`
		} `json:"error"`
	}
	body.Error.Code, body.Error.Message, body.Error.Hint = e.Code.String(), message, e.Hint
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(body) // There is nowhere left to report to.
}
