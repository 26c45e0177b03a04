package graph

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/internal/plain"
)

// kernels are the implementations that this machine can run.
var kernels = map[string]func(c *chacha8, d *draws, first uint32, count int){
	"generic": (*chacha8).drawGeneric,
	"chosen":  (*chacha8).draw,
}

// Every kernel computes what the specification says and writes nothing else.
func TestKernels(t *testing.T) {
	for name, draw := range kernels {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				key := [7]uint32(rapid.SliceOfN(rapid.Uint32(), 7, 7).Draw(rt, "key"))
				first := rapid.Uint32().Draw(rt, "first")
				count := lanes
				if name != "avx2" {
					count = rapid.IntRange(0, lanes).Draw(rt, "count")
				}

				c := newChaCha8(key)
				var got struct {
					before [64]byte
					draws  draws
					after  [64]byte
				}
				draw(&c, &got.draws, first, count)
				if got.before != [64]byte{} || got.after != [64]byte{} {
					rt.Fatal("written beyond the draws")
				}
				for lane := range count {
					var keyBytes []byte
					for _, word := range append(key[:], first+uint32(lane)) {
						keyBytes = binary.LittleEndian.AppendUint32(keyBytes, word)
					}
					want := append(plain.ChaCha8(keyBytes, 0), plain.ChaCha8(keyBytes, 1)[:4]...)
					for i := range want {
						if got := got.draws[i][lane]; got != want[i] {
							rt.Fatalf("word %d of lane %d is %#x, want %#x", i, lane, got, want[i])
						}
					}
				}
			})
		})
	}
}

// BenchmarkDraw computes the draws of all lanes. An operation is a node.
func BenchmarkDraw(b *testing.B) {
	for name, draw := range kernels {
		b.Run("kernel="+name, func(b *testing.B) {
			c := newChaCha8([7]uint32{1, 2, 3, 4, 5, 6, 7})
			var d draws
			for i := 0; i < b.N; i += lanes {
				draw(&c, &d, uint32(i), lanes)
			}
		})
	}
}
