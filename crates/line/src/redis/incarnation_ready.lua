-- KEYS: the marker. ARGV: its nonce. Notes that everything has been laid here under it.
if redis.call('HGET', KEYS[1], 'nonce') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'laid', '1')
end
