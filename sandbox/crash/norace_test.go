//go:build !race

package crash_test

// sampleEvery is one in how many points is tried; make crash tries every one.
const sampleEvery = 24
