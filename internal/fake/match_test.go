package fake

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMatch(t *testing.T) {
	known := vars{"id": number("7"), "name": "Ann", "whole": map[string]any{"a": number("1")}}
	tests := []struct {
		name, want, got string
		exact           bool
		fits            bool
		found           vars
	}{
		{"subset", `{"a":1}`, `{"a":1,"b":2}`, false, true, vars{}},
		{"exact refuses more", `{"a":1}`, `{"a":1,"b":2}`, true, false, nil},
		{"exact inside", `{"a":{"$exact":true,"b":1}}`, `{"a":{"b":1,"c":2},"d":0}`, false, false, nil},
		{"exact inside fits", `{"a":{"$exact":true,"b":1}}`, `{"a":{"b":1},"d":0}`, false, true, vars{}},
		{"missing member", `{"a":1}`, `{"b":2}`, false, false, nil},
		{"null is not absent", `{"a":null}`, `{}`, false, false, nil},
		{"any takes null", `{"a":"$any"}`, `{"a":null}`, false, true, vars{}},
		{"any needs the member", `{"a":"$any"}`, `{}`, false, false, nil},
		{"absent", `{"a":"$absent"}`, `{"b":1}`, false, true, vars{}},
		{"absent but there", `{"a":"$absent"}`, `{"a":null}`, false, false, nil},
		{"not null", `{"a":"$notnull"}`, `{"a":null}`, false, false, nil},
		{"kinds", `["$string","$number","$bool"]`, `["x",1.5,false]`, false, true, vars{}},
		{"kind differs", `["$string"]`, `[1]`, false, false, nil},
		{"uuid", `"$uuid"`, `"01a21116-41a9-7431-b6d0-1639b9978fe6"`, false, true, vars{}},
		{"regexp", `"$/^\\d+ s$/"`, `"10 s"`, false, true, vars{}},
		{"regexp differs", `"$/^\\d+ s$/"`, `"10 ms"`, false, false, nil},
		{"broken regexp", `"$/(/"`, `"("`, false, false, nil},
		{"dollar", `"$$any"`, `"$any"`, false, true, vars{}},
		{"capture", `{"x":"$new"}`, `{"x":[1]}`, false, true, vars{"new": []any{number("1")}}},
		{"capture twice", `["$new","$new"]`, `[1,1]`, false, true, vars{"new": number("1")}},
		{"capture twice, differs", `["$new","$new"]`, `[1,2]`, false, false, nil},
		{"capture needs the member", `{"x":"$new"}`, `{}`, false, false, nil},
		{"known keeps its type", `"$id"`, `7`, false, true, vars{}},
		{"known differs in type", `"$id"`, `"7"`, false, false, nil},
		{"within a text", `"Dear ${name}, ${id}"`, `"Dear Ann, 7"`, false, true, vars{}},
		{"list length", `[1]`, `[1,2]`, false, false, nil},
		{"list goes on", `[1,"$more"]`, `[1,2]`, false, true, vars{}},
		{"list goes on too early", `[1,2,"$more"]`, `[1]`, false, false, nil},
		{"has", `{"$has":[3,{"a":1}]}`, `[{"a":1,"b":2},3]`, false, true, vars{}},
		{"has not", `{"$has":[4]}`, `[3]`, false, false, nil},
		{"has in no list", `{"$has":[]}`, `{}`, false, false, nil},
		{"equal numbers", `[1e2,1.0]`, `[100,1]`, false, true, vars{}},
		{"large numbers", `9223372036854775807`, `9223372036854775806`, false, false, nil},
		{"kinds of values", `{"a":{}}`, `{"a":[]}`, false, false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want, err := decodeJSON([]byte(tt.want))
			if err != nil {
				t.Fatal(err)
			}
			got, err := decodeJSON([]byte(tt.got))
			if err != nil {
				t.Fatal(err)
			}
			found, diff := match(want, got, known, tt.exact)
			if (diff == "") != tt.fits {
				t.Fatalf("fits = %v, want %v\n%s", diff == "", tt.fits, diff)
			}
			if d := cmp.Diff(tt.found, found); d != "" {
				t.Errorf("captures (-want +got):\n%s", d)
			}
		})
	}
}

func TestFill(t *testing.T) {
	known := vars{"id": number("7"), "name": `A "B"`}
	tests := []struct{ in, want string }{
		{`{"b":1, "a" : "$id"}`, `{"b":1, "a" : 7}`},
		{`{"id":"${id}"}`, `{"id":7}`},
		{`{"text":"${name}!"}`, `{"text":"A \"B\"!"}`},
		{`{"text":"n. ${id}"}`, `{"text":"n. 7"}`},
	}
	for _, tt := range tests {
		got, err := fill(tt.in, known)
		if err != nil || got != tt.want {
			t.Errorf("fill(%s) = %s, %v; want %s", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{`{"a":"$who"}`, `{"a":"x ${who}"}`} {
		if _, err := fill(in, known); err == nil {
			t.Errorf("fill(%s): no error", in)
		}
	}
}

func TestDecodeJSONRefuses(t *testing.T) {
	for _, in := range []string{``, `{`, `{} {}`, `{"a":1,"a":2}`, "\"\xff\"", `{"a" 1}`} {
		if v, err := decodeJSON([]byte(in)); err == nil {
			t.Errorf("%q decodes to %v", in, v)
		}
	}
}
