//go:build !race

package fr32

func raceReads([]byte)  {}
func raceWrites([]byte) {}
