package audit

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/structpb"
)

// What is written reads as what it was. Seen to fail without the check for characters that must be escaped.
func TestJSONReadsAsWhatItWas(t *testing.T) {
	t.Parallel()
	want := map[string]any{
		"b": "plain", "a": []any{"<&>", "\"", "\\", "\n", "\x01", "é", "\u2028", "\x7f", true, nil, 1.5, -3.0, 1e21, []any{}}, "": map[string]any{"z": false, "y": map[string]any{}},
	}
	v, err := structpb.NewValue(want)
	if err != nil {
		t.Fatal(err)
	}
	text := appendJSON(nil, v)
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%s", text, diff)
	}
	if again := appendJSON(nil, v); string(again) != string(text) || text[1] != '"' || text[2] != '"' {
		t.Errorf("not the same, or not in order: %s", again)
	}
}
