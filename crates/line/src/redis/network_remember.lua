-- Remembers that an account has signed in from a network.
-- KEYS[1] the account's networks with the microsecond of the last sign-in from each; ARGV[1] the network, ARGV[2] for how
-- many seconds, ARGV[3] how many networks at most: the latest stay
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - tonumber(ARGV[2]) * 1000000))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -tonumber(ARGV[3]) - 1)
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 0
