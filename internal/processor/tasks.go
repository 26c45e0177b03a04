package processor

import (
	"bytes"
	"fmt"

	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// The tasks of vc-processors 0.2.1. Fields that a newer one adds are passed over.

// PC1 reads a task of PreCommit phase 1.
func PC1(task []byte) (s seal.Sector, err error) {
	err = decode(task, map[string]field{
		"registered_proof": proof(&s.Proof),
		"cache_path":       path(&s.CacheDir),
		"in_path":          path(&s.Staged),
		"out_path":         path(&s.Sealed),
		"prover_id":        bytes32(&s.ProverID),
		"sector_id":        number(&s.Number),
		"ticket":           bytes32(&s.Ticket),
		"piece_infos": list(&s.Pieces, func(p *porep.Piece) field {
			return func(value []byte) error {
				return decode(value, map[string]field{"commitment": bytes32(&p.CommP), "size": number(&p.Size)})
			}
		}),
	})
	return s, err
}

// AddPiecesTask is a staged file that is to be made of pieces.
type AddPiecesTask struct {
	Proof  porep.SealProof
	Staged string
	Pieces []Piece
}

// A Piece is what a piece's data is, and how much of it: zeros follow to its size. Local and URL are
// empty for a piece of zeros.
type Piece struct {
	Local, URL string
	Payload    porep.UnpaddedSize
	Size       porep.UnpaddedSize
}

// AddPieces reads a task that makes a staged file.
func AddPieces(task []byte) (t AddPiecesTask, err error) {
	err = decode(task, map[string]field{
		"seal_proof_type": proof(&t.Proof),
		"staged_filepath": path(&t.Staged),
		"pieces": list(&t.Pieces, func(p *Piece) field {
			return func(value []byte) error {
				err := decode(value, map[string]field{"piece_file": p.file, "payload_size": number(&p.Payload), "piece_size": number(&p.Size)})
				if err == nil && p.Payload > p.Size {
					err = fmt.Errorf("payload_size: %d is more than the piece_size, %d", p.Payload, p.Size)
				}
				return err
			}
		}),
	})
	return t, err
}

// file reads {"local":path}, {"url":address} or "pledge".
func (p *Piece) file(value []byte) error {
	if bytes.HasPrefix(value, []byte(`"`)) {
		var kind string
		if err := text(&kind)(value); err != nil {
			return err
		}
		if kind != "pledge" {
			return fmt.Errorf(`%s is neither "pledge" nor an object with local or url`, shown(value))
		}
		return nil
	}
	err := eachField(value, map[string]field{"local": path(&p.Local), "url": path(&p.URL)})
	if err == nil && (p.Local == "") == (p.URL == "") {
		err = fmt.Errorf(`%s is neither "pledge" nor an object with local or url`, shown(value))
	}
	return err
}

// TreeDTask is a tree-d that is to be built.
type TreeDTask struct {
	Proof            porep.SealProof
	Staged, CacheDir string
}

// TreeD reads a task that builds tree-d.
func TreeD(task []byte) (t TreeDTask, err error) {
	err = decode(task, map[string]field{
		"registered_proof": proof(&t.Proof),
		"staged_file":      path(&t.Staged),
		"cache_dir":        path(&t.CacheDir),
	})
	return t, err
}

func proof(to *porep.SealProof) field {
	return func(value []byte) error {
		var name string
		if err := text(&name)(value); err != nil {
			return err
		}
		p, err := porep.ParseSealProof(clip(name, maxShown))
		if err != nil {
			return err
		}
		*to = p
		return nil
	}
}
