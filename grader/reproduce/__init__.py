"""The experiments of the write-up that the assignment follows, run again: `grade reproduce`."""
