package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// ReadSafetensorsMetadata returns the metadata of the file at path, without its
// rules: text by name, empty for a file without. It reads the header alone.
// Errors wrap [ErrSafetensors].
func ReadSafetensorsMetadata(path string) (map[string]string, error) {
	f, err := os.Open(path) // the caller names the file
	if err != nil {
		return nil, err
	}
	header, err := readHeader(f)
	meta := map[string]string{}
	if err == nil {
		err = eachMember(header, func(key string, raw json.RawMessage) error {
			if key != metadataKey {
				return nil
			}
			return eachMember(raw, func(name string, raw json.RawMessage) error {
				var value *string
				if err := json.Unmarshal(raw, &value); err != nil || value == nil {
					return badFile("metadata %.64q is not a string", name)
				}
				meta[name] = *value
				return nil
			})
		})
	}
	delete(meta, rulesKey)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return meta, nil
}
