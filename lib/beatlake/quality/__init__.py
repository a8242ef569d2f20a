"""What good rows are: contracts, rules, checks as columns, and the counts that prove them."""
