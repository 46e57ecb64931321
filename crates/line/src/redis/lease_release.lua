-- Gives up lines, as far as it is the asker who leads them.
-- KEYS who leads each; ARGV[1] who asks
for at = 1, #KEYS do
    if redis.call('GET', KEYS[at]) == ARGV[1] then
        redis.call('DEL', KEYS[at])
    end
end
return #KEYS
