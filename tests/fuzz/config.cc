// What users write: the config, and calls of transforms.
#include "cli/config.h"

#include "fuzz/target.h"
#include "transforms/transform.h"

using namespace checkvalve;

CV_FUZZ_TARGET(config) {
  if (input.byte() % 4)
    (void)parse_config(input.rest(), "checkvalve.toml");
  else
    (void)parse_transform_call(input.rest());
}
