package identity

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestCheckRealm(t *testing.T) {
	for realm, ok := range map[string]bool{
		DefaultRealm: true, "a": true, "0-9": true, strings.Repeat("x", 63): true,
		"": false, strings.Repeat("x", 64): false, "A": false, "a.b": false, "a b": false, "*": false, ">": false, "ä": false,
	} {
		if err := CheckRealm(realm); (err == nil) != ok {
			t.Errorf("CheckRealm(%q) = %v, want ok: %v", realm, err, ok)
		}
	}
}

// equal names are different actors, and equality survives encoding.
func TestActorID_A01_uuidAloneDecidesEquality(t *testing.T) {
	a := ActorID{Name: "bob", UUID: New(), Node: NodeID{Name: "n", UUID: New()}}
	b := a
	b.UUID = New()
	if a.Equal(b) {
		t.Error("two actors of one name are equal")
	}
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var c ActorID
	if err := json.Unmarshal(text, &c); err != nil || !a.Equal(c) || a != c {
		t.Errorf("%s decodes to %v, %v, want %v", text, c, err, a)
	}
}

func TestActorID_string(t *testing.T) {
	node := NodeID{Name: "n1", UUID: New()}
	for _, tt := range []struct {
		id   ActorID
		want string
	}{
		{ActorID{}, "nobody"},
		{ActorID{Name: "bob", UUID: New(), Node: node}, "bob@n1"},
		{ActorID{Name: "n1", UUID: node.UUID, Node: node}, "n1"},
	} {
		if got := tt.id.String(); got != tt.want {
			t.Errorf("String() = %q, want %q", got, tt.want)
		}
	}
}

func TestNew_sortsByBirth(t *testing.T) {
	for range 100 {
		if a, b := New(), New(); a.String() >= b.String() {
			t.Fatalf("%v was made before %v", a, b)
		}
	}
}

// any printable name will do; nothing else.
func TestCheckName_A42(t *testing.T) {
	for _, name := range []string{"a", "a.b/../c", "été", "日本", "two words", "*>", strings.Repeat("x", MaxName)} {
		if err := CheckName(name); err != nil {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
	for _, name := range []string{"", " a", "a ", "a\nb", "a\x00b", "\xff", "a\u200bb", strings.Repeat("x", MaxName+1)} {
		if err := CheckName(name); !errors.As(err, new(*NameError)) {
			t.Errorf("CheckName(%q) = %v, want a NameError", name, err)
		}
	}
}
