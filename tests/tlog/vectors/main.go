// SPDX-License-Identifier: MIT

// Writes vectors of golang.org/x/mod/sumdb and filippo.io/torchwood for the unit tests of common/tlog:
//
//	go run ./vectors > ../data/tlog/vectors.json
//
// The same each time but for the time of the cosignature: keys come from fixed seeds, and Ed25519 draws nothing.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const sizes = 600

type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		out[i] = h[index]
	}
	return out, nil
}

type proof struct {
	Old    int64    `json:"old"` // or the leaf's index
	Size   int64    `json:"size"`
	Hashes []string `json:"hashes"`
}

func try[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func texts(list []tlog.Hash) []string {
	out := []string{}
	for _, hash := range list {
		out = append(out, base64.StdEncoding.EncodeToString(hash[:]))
	}
	return out
}

// The signer of a fixed seed, as the text of a key.
func signer(name string, seed byte) (skey, vkey string) {
	private := ed25519.NewKeyFromSeed(bytesOf(seed))
	vkey = try(note.NewEd25519VerifierKey(name, private.Public().(ed25519.PublicKey)))
	id := strings.Split(vkey, "+")[1]
	data := append([]byte{1}, private.Seed()...)
	return fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", name, id, base64.StdEncoding.EncodeToString(data)), vkey
}

func bytesOf(seed byte) []byte {
	out := make([]byte, 32)
	for i := range out {
		out[i] = seed + byte(i)
	}
	return out
}

func main() {
	var stored hashes
	all := map[string]any{"root": sha256.New(), "inclusion": sha256.New(), "consistency": sha256.New()}
	roots := map[int64]string{}
	var inclusions, consistencies []proof
	paths := map[string][]int64{}

	for size := int64(0); size <= sizes; size++ {
		root := try(tlog.TreeHash(size, stored))
		all["root"].(interface{ Write([]byte) (int, error) }).Write(root[:])
		if size < 9 || size%97 == 0 || size == 256 || size == 512 {
			roots[size] = texts([]tlog.Hash{root})[0]
		}
		for old := int64(0); old < size; old += 1 + size/16 {
			in := try(tlog.ProveRecord(size, old, stored))
			for _, hash := range in {
				all["inclusion"].(interface{ Write([]byte) (int, error) }).Write(hash[:])
			}
			if old > 0 {
				for _, hash := range try(tlog.ProveTree(size, old, stored)) {
					all["consistency"].(interface{ Write([]byte) (int, error) }).Write(hash[:])
				}
			}
		}
		if size%83 == 7 {
			old := size / 3
			inclusions = append(inclusions, proof{old, size, texts(try(tlog.ProveRecord(size, old, stored)))})
			if old > 0 {
				consistencies = append(consistencies, proof{old, size, texts(try(tlog.ProveTree(size, old, stored)))})
			}
		}
		stored = append(stored, try(tlog.StoredHashes(size, []byte(fmt.Sprintf("leaf %d", size)), stored))...)
	}
	for _, at := range [][3]int64{{0, 0, 256}, {0, 5, 256}, {1, 1234067, 256}, {0, 273, 112}, {2, 0, 1}, {0, 999, 255}, {3, 1000, 256}, {0, 1000000000, 7}, {-1, 3, 17}, {-1, 70000, 256}} {
		tile := tlog.Tile{H: 8, L: int(at[0]), N: at[1], W: int(at[2])}
		paths[torchwood.TilePath(tile)] = at[:]
	}
	digests := map[string]string{}
	for name, sum := range all {
		digests[name] = hex.EncodeToString(sum.(interface{ Sum([]byte) []byte }).Sum(nil))
	}

	skey, vkey := signer("log.example", 1)
	first := try(tlog.TreeHash(300, stored))
	text := fmt.Sprintf("log.example/flk/00c0ffee00c0ffee\n300\n%s\n", base64.StdEncoding.EncodeToString(first[:]))
	signed := try(note.Sign(&note.Note{Text: text}, try(note.NewSigner(skey))))
	witnessKey := ed25519.NewKeyFromSeed(bytesOf(77))
	witness := try(torchwood.NewCosignatureSigner("witness.example/w1", witnessKey))
	opened := try(note.Open(signed, note.VerifierList(try(note.NewVerifier(vkey)))))
	cosigned := try(note.Sign(opened, witness))
	out := map[string]any{
		"leaves": "leaf 0, leaf 1, ...", "sizes": sizes, "digests": digests, "roots": roots, "inclusion": inclusions,
		"consistency": consistencies, "paths": paths, "signer_key": skey, "verifier_key": vkey, "text": text, "note": string(signed),
		"witness_key": witness.Verifier().String(), "cosigned": string(cosigned),
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(out); err != nil {
		log.Fatal(err)
	}
}
