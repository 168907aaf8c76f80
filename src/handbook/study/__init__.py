"""What a page asks of its reader: study cards, and problems that answer back."""
