//go:build race

package crash_test

// sampleEvery thins out the points further under the race detector, which makes each take ten times as long.
const sampleEvery = 48
