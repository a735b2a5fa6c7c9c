"""Django: inspectdb of tables and views, and queries through an unmanaged model."""
import io
import os
from urllib.parse import urlparse

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection, models, transaction

url = urlparse(os.environ["TIDEMILL_DSN"])
settings.configure(
    USE_TZ=True,
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": url.path[1:], "USER": url.username,
        "HOST": url.hostname, "PORT": url.port,
    }},
)
django.setup()
with connection.cursor() as cursor:
    cursor.execute("DROP TABLE IF EXISTS dj CASCADE")
    cursor.execute("CREATE TABLE dj (id int PRIMARY KEY, name varchar(20) NOT NULL, at timestamptz)")
    cursor.execute("CREATE VIEW dj_view AS SELECT id, name FROM dj")
out = io.StringIO()
call_command("inspectdb", "--include-views", stdout=out)
text = out.getvalue()
assert "class Dj(models.Model)" in text and "class DjView(models.Model)" in text, text
assert "name = models.CharField(max_length=20)" in text, text
assert "Unable to inspect" not in text, text


class Dj(models.Model):
    id = models.IntegerField(primary_key=True)
    name = models.CharField(max_length=20)
    at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "dj"
        app_label = "clients"


with transaction.atomic():
    Dj.objects.create(id=1, name="a")
    Dj.objects.bulk_create([Dj(id=i, name="b") for i in range(2, 10)])
    try:
        with transaction.atomic():
            Dj.objects.create(id=100, name="c")
            raise ValueError
    except ValueError:
        pass
assert Dj.objects.filter(name="b").count() == 8
assert Dj.objects.filter(id=3).update(name="d") == 1
assert list(Dj.objects.values_list("name").annotate(n=models.Count("id")).order_by("name")) == [("a", 1), ("b", 7), ("d", 1)]
assert len(list(Dj.objects.order_by("id").iterator(chunk_size=2))) == 9
print("ok")
