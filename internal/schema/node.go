package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// node is a JSON Schema, in the keywords that are used here:
// https://json-schema.org/draft/2020-12/json-schema-validation
type node struct {
	Schema               string   `json:"$schema,omitempty"`
	Description          string   `json:"description,omitempty"`
	Ref                  string   `json:"$ref,omitempty"`
	Type                 types    `json:"type,omitempty"`
	Const                string   `json:"const,omitempty"`
	Enum                 []any    `json:"enum,omitempty"`
	Pattern              string   `json:"pattern,omitempty"` // of strings; says nothing of other types
	Minimum              *int     `json:"minimum,omitempty"` // of numbers, likewise
	Maximum              *int     `json:"maximum,omitempty"`
	Default              any      `json:"default,omitempty"`
	Examples             []any    `json:"examples,omitempty"`
	Items                *node    `json:"items,omitempty"`
	Properties           members  `json:"properties,omitempty"`
	Required             []string `json:"required,omitempty"`
	AdditionalProperties any      `json:"additionalProperties,omitempty"` // false, or a node
	Defs                 members  `json:"$defs,omitempty"`
}

// take adds a type to those that n takes.
func (n *node) take(jsonType string) {
	if !n.Type.takes(jsonType) {
		n.Type = append(n.Type, jsonType)
	}
}

// takeNull makes null a value of n.
func (n *node) takeNull() {
	if n.Enum != nil {
		n.Enum = append(n.Enum, nil)
	} else {
		n.take("null")
	}
}

// types are the types that a value may have.
type types []string

// takes counts an integer as a number.
func (ts types) takes(jsonType string) bool {
	return slices.Contains(ts, jsonType) || jsonType == "integer" && slices.Contains(ts, "number")
}

// MarshalJSON writes one type alone, and several as a list.
func (ts types) MarshalJSON() ([]byte, error) {
	if len(ts) == 1 {
		return json.Marshal(ts[0])
	}
	return json.Marshal([]string(ts))
}

// members are named schemas in the order of the structs, since a person reads them
// too.
type members []member

type member struct {
	name   string
	schema *node
}

// MarshalJSON writes an object.
func (ms members) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, m := range ms {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:", m.name)
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false) // descriptions may hold < and >
		if err := encoder.Encode(m.schema); err != nil {
			return nil, err
		}
	}
	return fmt.Appendf(nil, "{%s}", b.Bytes()), nil
}
