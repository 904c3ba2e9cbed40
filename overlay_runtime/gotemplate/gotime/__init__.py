"""Go's package time: layouts, durations and zones (https://pkg.go.dev/time)."""
