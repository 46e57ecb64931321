-- KEYS: the marker, the lock of whoever lays things here. ARGV: a nonce for a new marker, an instance, the lock's
-- length in milliseconds. Answers with the marker's nonce, the server's role, and 1 for whoever is to lay things here.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local role = string.match(redis.call('INFO', 'replication'), 'role:(%w+)')
if role ~= 'master' then
  return {'', role, 0}
end
local mark = redis.call('HMGET', KEYS[1], 'nonce', 'run', 'laid')
local nonce, laid = mark[1], mark[3]
if not nonce or mark[2] ~= run then
  nonce, laid = ARGV[1], '0'
  redis.call('HSET', KEYS[1], 'nonce', nonce, 'run', run, 'laid', laid)
  redis.call('DEL', KEYS[2])
end
if laid == '0' and redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then
  return {nonce, role, 1}
end
return {nonce, role, 0}
