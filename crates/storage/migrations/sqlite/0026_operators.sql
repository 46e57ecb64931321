-- Whether there ever was an operator: the entries of the log that make one.
CREATE INDEX audit_of_operators ON audit_log (audit_id) WHERE action IN ('operator.add', 'user.role');
