"""For authors: proves that the assignment holds together, after a task was added or changed."""
