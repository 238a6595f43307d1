"""Where image rows and their vectors are kept and searched: one file per kind of store, all held to one contract."""
