"""Who may act for whom, until which day: the rules, the registers that know, and what rests on their word."""
