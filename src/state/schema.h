// The tables of the state, made and changed by numbered migrations, the same for each database. A migration that was
// released never changes: a change is a further migration.
//
// Enumerations are stored as their numbers (store.h: append only), error kinds as their words. Names and what comes
// from endpoints are byte strings; ids and words that the engine makes are text.
#pragma once

#include "core/result.h"
#include "state/database.h"

namespace checkvalve {

// The version that this program makes.
int schema_version();

// Brings the database to schema_version(). Safe when several processes do it at once. A newer version than this
// program knows is an error that says to upgrade.
Result<void> migrate(SqlDatabase& database);

} // namespace checkvalve
