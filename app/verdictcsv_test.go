package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/verdict"
)

func TestReadBuckets(t *testing.T) {
	noon := time.Date(2026, 10, 21, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name, text string
		want       []verdict.Bucket
	}{
		{"the least", "requests,errors\n118,1\n97,0\n", []verdict.Bucket{{Requests: 118, Errors: 1}, {Requests: 97}}},
		{"all columns", "at,errors,requests,dropped\n2026-10-21T12:00:00Z,1,118,2\n2026-10-21T14:00:10+02:00,0,0,0\n",
			[]verdict.Bucket{{At: noon, Requests: 118, Errors: 1, Dropped: 2}, {At: noon.Add(10 * time.Second)}}},
		{"a spreadsheet's", "\ufeff\"Requests\", \"Errors\"\r\n\"118\", 1\r\n", []verdict.Bucket{{Requests: 118, Errors: 1}}},
		{"no bucket", "requests,errors", nil},
	}
	for _, tt := range tests {
		got, err := readBuckets("b.csv", strings.NewReader(tt.text))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if !slices.EqualFunc(got, tt.want, sameBucket) {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func sameBucket(a, b verdict.Bucket) bool {
	at := a.At.Equal(b.At)
	a.At = b.At
	return at && a == b
}

// TestReadBucketsSaysWhere: line and column, from 1 on.
func TestReadBucketsSaysWhere(t *testing.T) {
	tests := []struct{ text, says string }{
		{"", "b.csv is empty: its first line has to be requests,errors"},
		{"118,1\n", `b.csv:1:1: there is no column "118"; possible are requests, errors, dropped, at`},
		{"requests,erors\n", `b.csv:1:10: there is no column "erors"; did you mean errors?`},
		{"requests\n1\n", "b.csv:1:1: the first line has to name the columns, and errors is missing"},
		{"requests,errors,errors\n", "b.csv:1:17: the column errors is there twice"},
		{"requests,errors\n118,1\n97,x\n", `b.csv:3:4: "x" is no number of errors: it has to be 0 or more, without separators`},
		{"requests,errors\n-3,0\n", `b.csv:2:1: "-3" is no number of requests`},
		{"requests,errors\n\"1,204\",0\n", `b.csv:2:1: "1,204" is no number of requests`},
		{"requests,errors\n3,4\n", "b.csv:2:3: 4 errors in 3 requests: there cannot be more"},
		{"requests,errors\n3\n", "b.csv:2:1: wrong number of fields"},
		{"requests,errors\n\"3,4\n", "b.csv:2:"},
		{"at,requests,errors\nnoon,3,0\n", `b.csv:2:1: "noon" is no time: write it as 2026-10-21T10:00:00Z`},
		{"requests,errors,at\n3,0,2026-10-21T10:00:00Z\n\n3,0,2026-10-21T10:00:00Z\n", "b.csv:4:5: 2026-10-21T10:00:00Z is not after the line before it"},
	}
	for _, tt := range tests {
		got, err := readBuckets("b.csv", strings.NewReader(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.says) || got != nil {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.says)
		}
	}
}

// FuzzBuckets: what is read can be judged, and is read the same again when it is written.
func FuzzBuckets(f *testing.F) {
	f.Add("requests,errors\n118,1\n97,0\n")
	f.Add("at,errors,requests,dropped\n2026-10-21T12:00:00Z,1,118,2\n")
	f.Add("\ufeff\"Requests\", \"Errors\"\r\n\"118\", 1\r\n")
	f.Add("requests,errors\n9223372036854775807,0\n1,1\n")
	f.Fuzz(func(t *testing.T, text string) {
		buckets, err := readBuckets("b.csv", strings.NewReader(text))
		if err != nil {
			if !strings.Contains(err.Error(), "b.csv") {
				t.Fatalf("it does not say where: %v", err)
			}
			return
		}
		rule := verdict.Rule{Limit: 0.05, AlphaPass: 0.05, AlphaFail: 0.05, Evidence: verdict.ByBuckets}
		if _, err := rule.Judge(buckets); err != nil && !strings.Contains(err.Error(), "more requests than can be counted") {
			t.Fatal(err)
		}
		var written strings.Builder
		written.WriteString("requests,errors,dropped\n")
		for i := range buckets {
			buckets[i].At = time.Time{}
			fmt.Fprintf(&written, "%d,%d,%d\n", buckets[i].Requests, buckets[i].Errors, buckets[i].Dropped)
		}
		if again, err := readBuckets("b.csv", strings.NewReader(written.String())); err != nil || !slices.EqualFunc(again, buckets, sameBucket) {
			t.Fatalf("%+v, and written and read again %+v (%v)", buckets, again, err)
		}
	})
}
