"""`grade similar`: which submissions are alike, as pairs for a person to look at.

    submissions ─► tokens ─► k-grams, each weighed by how few wrote it ─► pairs ─► a page and a CSV

Nothing of a submission is run or imported. Nothing here is a verdict, and no score is touched.
"""
