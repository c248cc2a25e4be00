"""The operator's pages: server-rendered, without a script, on a listener of their own.

They show what :mod:`scim_bridge.views` answers and do what :mod:`scim_bridge.desk` does, nothing else: a question that
no view answers belongs there first, and then the command line has it, too.
"""
