package plan

import _ "embed"

//go:embed schema.json
var schema string

// Schema returns the JSON Schema (2020-12) of deploy.yaml, with descriptions that editors show.
func Schema() []byte { return []byte(schema) }
