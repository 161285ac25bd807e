"""From records to what platforms take: one module each. Reads records, never grades, never guesses who somebody is."""
