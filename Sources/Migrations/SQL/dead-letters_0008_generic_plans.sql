-- The handler plans its statements anew each time, as its tables grow from nothing. These functions are called once a
-- sequence, and their settings leave one plan alone, so to plan it again for each call took most of the time that a new
-- letter behind another did.
ALTER FUNCTION dead_letters_open_of(text, text, bytea, bigint) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION dead_letters_under_way_of(text, text, bytea, bigint) SET plan_cache_mode = force_generic_plan;
