-- Releases the leases of lines, unless another instance has them by now.
-- KEYS the leader of each; ARGV[1] the instance
for at = 1, #KEYS do
    if redis.call('GET', KEYS[at]) == ARGV[1] then
        redis.call('DEL', KEYS[at])
    end
end
return #KEYS
