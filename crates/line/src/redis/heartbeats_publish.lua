-- Adds who was heard of to what all instances heard in the same stretch of time. Saying it twice changes nothing.
-- KEYS[1] a scratch key, KEYS[2..] the chunks; ARGV[1] how long to keep them, in milliseconds, ARGV[2..] their bits
for chunk = 2, #KEYS do
    redis.call('SET', KEYS[1], ARGV[chunk])
    redis.call('BITOP', 'OR', KEYS[chunk], KEYS[chunk], KEYS[1])
    redis.call('PEXPIRE', KEYS[chunk], ARGV[1])
end
redis.call('DEL', KEYS[1])
return #KEYS - 1
