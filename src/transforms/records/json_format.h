// JSON lines: one object a line.
#pragma once

#include "core/result.h"
#include "transforms/records/record.h"

namespace checkvalve {

// Reads one object; numbers keep the text that they have. Error kind transform, without the line's number.
Result<void> parse_json_record(std::string_view text, Record& record);
// Appends one object, without a newline. Text that is not valid UTF-8 is an error of kind transform.
Result<void> append_json_record(const Record& record, std::string& out);

} // namespace checkvalve
