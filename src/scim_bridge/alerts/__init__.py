"""Alerts: a webhook and mail for what needs an operator, told once, again when it lasts, and when it is over.

What is to be told is a state, not a queue: the ledger in the store says what lasts, and what each channel was told of
it. Where the two differ something is sent, until it was taken. So nothing is lost by a restart, a message may come
twice after one, and a channel that is down delays no other, no request and no driver.
"""
