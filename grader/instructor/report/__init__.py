"""The class report: one HTML page that needs nothing but itself, made from records alone."""
