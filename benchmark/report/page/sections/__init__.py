"""The sections of the page: each module here registers one or more of them."""
