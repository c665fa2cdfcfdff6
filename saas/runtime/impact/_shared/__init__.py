"""Code shared by the kinds of impact: what an impact is, one look at the data, counting and sampling."""
