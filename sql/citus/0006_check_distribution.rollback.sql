-- 0006_check_distribution: rollback
-- Drop the functions.

drop function if exists app.check_distribution();
drop function if exists app.distribution_problems();
