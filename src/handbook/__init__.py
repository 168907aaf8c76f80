"""The machinery of the site: it runs the pages' programs, draws their figures and writes their feet."""
