-- Takes the holds that are due: each is handed to one caller.
-- KEYS[1] the deadlines; ARGV[1] now, in microseconds; ARGV[2] how many at most
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
-- A call takes so many arguments only.
for first = 1, #due, 1000 do
    redis.call('ZREM', KEYS[1], unpack(due, first, math.min(first + 999, #due)))
end
return due
