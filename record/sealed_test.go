package record

import "crypto"

// Unseal is [Decode] with the bytes and their hash.
func Unseal(b []byte) (Sealed, error) {
	r, err := Decode(b)
	if err != nil {
		return Sealed{}, err
	}
	return Sealed{r, b, Hash(b)}, nil
}

// HeadOf returns the head of a record's bytes, signed as [Record.Encode] signs.
// Errors wrap [ErrMalformed].
func HeadOf(b []byte, key crypto.Signer) ([]byte, error) {
	s, err := Unseal(b)
	if err != nil {
		return nil, err
	}
	return s.Head(key)
}
