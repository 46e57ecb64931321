-- Keeps a lock for ARGV[2] more milliseconds, if it is still ARGV[1]'s. 1 if it is.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
