package reserve

import (
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzParseHolder: whatever is in a record, there is no panic, and what is read of it is read again from
// what would be written.
func FuzzParseHolder(f *testing.F) {
	f.Add([]byte(`{"job":"a","pid":7,"process_start":8,"id":"b","since":"2026-11-30T12:00:00Z","cores":[0,3],"memory":[{"numa_node":0,"bytes":1024}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, ok := parseHolder(text)
		if !ok {
			if !reflect.DeepEqual(h, Holder{}) {
				t.Errorf("%q is no record, and says %+v", text, h)
			}
			return
		}
		again, err := json.Marshal(h)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if second, ok := parseHolder(again); !ok || second.PID != h.PID || second.Job != h.Job || len(second.Cores) != len(h.Cores) || (second.Progress == nil) != (h.Progress == nil) {
			t.Errorf("%q is %+v, which is written as %s", text, h, again)
		}
	})
}
