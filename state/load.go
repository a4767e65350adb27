package state

import (
	"context"
	"strings"
)

// LoadScripts puts every script into Redis, which saves the first call of each a round trip, and returns
// their names by the SHA-1 under which Redis knows them.
func (s *Store) LoadScripts(ctx context.Context) (map[string]string, error) {
	files, err := sources.ReadDir("lua")
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".lua")
		loading := script(name) // what is only a part of others does nothing
		if err := loading.Load(ctx, s.c).Err(); err != nil {
			return nil, failed("load scripts", err)
		}
		names[loading.Hash()] = name
	}
	return names, nil
}
