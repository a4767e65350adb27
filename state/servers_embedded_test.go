//go:build !services

package state

func servers() []server { return []server{embedded()} }
