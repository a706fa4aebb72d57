"""A case over several visits: what one adds to a record, and the intervals that rest on all of them."""
