package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// Digest names what the plan says: "sha256:" and the hash of its JSON, in which fields and map keys
// have one order. Comments, formatting and the order of keys in deploy.yaml do not change it; any
// change of what would be done, or of who must agree, does.
func (p *Plan) Digest() string {
	text, err := json.Marshal(p)
	if err != nil {
		// Only a NaN can fail here, and the loader refuses it.
		panic("plan: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// ShortDigest returns the first 12 hexadecimal digits of a digest, enough for a person to compare.
func ShortDigest(digest string) string {
	digits := strings.TrimPrefix(digest, "sha256:")
	return digits[:min(12, len(digits))]
}
