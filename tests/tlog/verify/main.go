// SPDX-License-Identifier: MIT

// Judges a transparency log in a directory with other people's code: the checkpoint and its cosignatures by
// golang.org/x/mod/sumdb/note, random proofs from the tiles by golang.org/x/mod/sumdb/tlog, every entry and tile by tessera's fsck.
// Prints one line, and ends with 1 when one of them refuses.
package main

import (
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	formats "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"k8s.io/klog/v2"
)

var (
	dir      = flag.String("dir", "", "the log")
	key      = flag.String("key", "", "file of its verifier key")
	origin   = flag.String("origin", "", "its origin")
	witness  = flag.String("witness", "", "verifier key of a witness that must have cosigned")
	proofs   = flag.Int("proofs", 100, "random inclusion and consistency proofs, of each kind")
	seed     = flag.Int64("seed", 1, "of the random ones")
	since    = flag.String("since", "", "file of an earlier checkpoint")
	proof    = flag.String("proof", "", "a .tlog-proof to verify in place of a log")
	skipFsck = flag.Bool("skip-fsck", false, "proofs alone")
)

type tiles struct{ root string }

func (t tiles) Height() int { return torchwood.TileHeight }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(wanted))
	for i, tile := range wanted {
		data, err := os.ReadFile(filepath.Join(t.root, torchwood.TilePath(tile)))
		if os.IsNotExist(err) && tile.W < torchwood.TileWidth {
			full := tile
			full.W = torchwood.TileWidth
			if data, err = os.ReadFile(filepath.Join(t.root, torchwood.TilePath(full))); err == nil {
				data = data[:tile.W*tlog.HashSize]
			}
		}
		if err != nil {
			return nil, err
		}
		out[i] = data
	}
	return out, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func verifiers() (note.Verifiers, note.Verifier, error) {
	text, err := os.ReadFile(*key)
	if err != nil {
		return nil, nil, err
	}
	log, err := note.NewVerifier(strings.TrimSpace(string(text)))
	if err != nil || *witness == "" {
		return note.VerifierList(log), log, err
	}
	cosigner, err := formats.NewVerifier(*witness)
	return note.VerifierList(log, cosigner), log, err
}

// A checkpoint that the log, and the witness if one is wanted, has signed.
func open(data []byte, known note.Verifiers, signatures int) (torchwood.Checkpoint, error) {
	opened, err := note.Open(data, known)
	if err != nil {
		return torchwood.Checkpoint{}, err
	}
	if len(opened.Sigs) < signatures {
		return torchwood.Checkpoint{}, fmt.Errorf("%d known signatures, not %d", len(opened.Sigs), signatures)
	}
	return torchwood.ParseCheckpoint(opened.Text)
}

func checkEntry(root string, index, size int64, hash tlog.Hash) error {
	tile := tlog.Tile{H: torchwood.TileHeight, L: -1, N: index / torchwood.TileWidth, W: torchwood.TileWidth}
	if tile.N == size/torchwood.TileWidth {
		tile.W = int(size % torchwood.TileWidth)
	}
	data, err := os.ReadFile(filepath.Join(root, torchwood.TilePath(tile)))
	if err != nil {
		return err
	}
	var entry []byte
	for i := int64(0); i <= index%torchwood.TileWidth; i++ {
		if entry, data, err = torchwood.ReadTileEntry(data); err != nil {
			return err
		}
	}
	if tlog.RecordHash(entry) != hash {
		return fmt.Errorf("entry %d is not that of its tile", index)
	}
	return nil
}

func checkProofs(tree tlog.Tree, random *rand.Rand) error {
	reader := tlog.TileHashReader(tree, tiles{*dir})
	for range *proofs {
		index := random.Int63n(tree.N)
		hash, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		if err != nil {
			return err
		}
		in, err := tlog.ProveRecord(tree.N, index, reader)
		if err == nil {
			err = tlog.CheckRecord(in, tree.N, tree.Hash, index, hash[0])
		}
		if err == nil {
			err = checkEntry(*dir, index, tree.N, hash[0])
		}
		if err != nil {
			return err
		}
		old := 1 + random.Int63n(tree.N)
		root, err := tlog.TreeHash(old, reader)
		if err != nil {
			return err
		}
		if err = checkContinues(tree, tlog.Tree{N: old, Hash: root}, reader); err != nil {
			return err
		}
	}
	return nil
}

func checkContinues(tree, old tlog.Tree, reader tlog.HashReader) error {
	if old.N > tree.N {
		return fmt.Errorf("it has %d leaves, and had %d", tree.N, old.N)
	}
	steps, err := tlog.ProveTree(tree.N, old.N, reader)
	if err != nil {
		return err
	}
	return tlog.CheckTree(steps, tree.N, tree.Hash, old.N, old.Hash)
}

func hashBundle(bundle []byte) ([][]byte, error) {
	entries := &api.EntryBundle{}
	if err := entries.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	out := make([][]byte, 0, len(entries.Entries))
	for _, entry := range entries.Entries {
		out = append(out, rfc6962.DefaultHasher.HashLeaf(entry))
	}
	return out, nil
}

// A .tlog-proof, line by line as its specification has it.
func checkProofFile(known note.Verifiers, signatures int) error {
	data, err := os.ReadFile(*proof)
	if err != nil {
		return err
	}
	head, checkpoint, _ := strings.Cut(string(data), "\n\n")
	lines := strings.Split(head, "\n")
	if len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "extra ") || !strings.HasPrefix(lines[2], "index ") {
		return fmt.Errorf("no .tlog-proof with an extra line")
	}
	leaf, err := base64.StdEncoding.DecodeString(lines[1][len("extra "):])
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(lines[2][len("index "):], 10, 64)
	if err != nil {
		return err
	}
	var hashes tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		hashes = append(hashes, hash)
	}
	opened, err := open([]byte(checkpoint), known, signatures)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(hashes, opened.N, opened.Hash, index, tlog.RecordHash(leaf))
}

func checkLog(known note.Verifiers, log note.Verifier, signatures int) error {
	data, err := os.ReadFile(filepath.Join(*dir, "checkpoint"))
	if err != nil {
		return err
	}
	checkpoint, err := open(data, known, signatures)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if checkpoint.Origin != *origin {
		return fmt.Errorf("origin is %q", checkpoint.Origin)
	}
	tree := checkpoint.Tree
	if *since != "" {
		data, err := os.ReadFile(*since)
		if err != nil {
			return err
		}
		old, err := open(data, known, 1)
		if err == nil {
			err = checkContinues(tree, old.Tree, tlog.TileHashReader(tree, tiles{*dir}))
		}
		if err != nil {
			return fmt.Errorf("since: %w", err)
		}
	}
	if err := checkProofs(tree, rand.New(rand.NewSource(*seed))); err != nil {
		return fmt.Errorf("proofs: %w", err)
	}
	if !*skipFsck {
		if err := fsck.New(*origin, log, client.FileFetcher{Root: *dir}, hashBundle, fsck.Opts{N: 2}).Check(context.Background()); err != nil {
			return fmt.Errorf("fsck: %w", err)
		}
	}
	fmt.Printf("verified %d leaves, %d proofs of each kind\n", tree.N, *proofs)
	return nil
}

func main() {
	klog.LogToStderr(false)
	flag.Parse()
	klog.SetOutputBySeverity("INFO", discard{})
	known, log, err := verifiers()
	signatures := 1
	if *witness != "" {
		signatures = 2
	}
	if err == nil && *proof != "" {
		err = checkProofFile(known, signatures)
	} else if err == nil {
		err = checkLog(known, log, signatures)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
}

type discard struct{}

func (discard) Write(data []byte) (int, error) { return len(data), nil }
